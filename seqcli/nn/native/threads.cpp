// Sharing work between threads. torch's matrix products run on an OpenMP team whose idle threads
// spin for a while before they sleep; a second team would fight them for the same cores. So the
// kernels borrow torch's: Python finds GOMP_parallel in the OpenMP library that torch has loaded
// and hands it over. Where there is none, threads are started for the call.
#include "threads.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

namespace seqcli {

using Team = void (*)(void (*body)(void*), void* data, unsigned threads, unsigned flags);
static Team team = nullptr;

extern "C" void seqcli_borrow_team(void* gomp_parallel) {
    team = reinterpret_cast<Team>(gomp_parallel);
}

Shares divide(const std::vector<int64_t>& lengths, int64_t shares) {
    std::vector<int32_t> order(lengths.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return lengths[a] > lengths[b]; });
    Shares result(std::max<int64_t>(1, std::min<int64_t>(shares, lengths.size())));
    std::vector<int64_t> total(result.size(), 0);
    for (int32_t item : order) {
        const size_t least = std::min_element(total.begin(), total.end()) - total.begin();
        result[least].push_back(item);
        total[least] += std::max<int64_t>(lengths[item], 1);
    }
    return result;
}

namespace {
struct Queue {
    const std::function<void(int64_t)>& work;
    const int64_t count;
    std::atomic<int64_t> next{0};

    void drain() {
        for (int64_t i; (i = next.fetch_add(1)) < count;) work(i);
    }
};
}  // namespace

void parallel(int64_t threads, int64_t count, const std::function<void(int64_t)>& work) {
    Queue queue{work, count};
    threads = std::min(threads, count);
    if (threads <= 1) {
        queue.drain();
    } else if (team) {
        team([](void* data) { static_cast<Queue*>(data)->drain(); }, &queue,
             static_cast<unsigned>(threads), 0);
    } else {
        std::vector<std::thread> started;
        for (int64_t i = 1; i < threads; ++i) started.emplace_back([&] { queue.drain(); });
        queue.drain();
        for (std::thread& thread : started) thread.join();
    }
}

}  // namespace seqcli
