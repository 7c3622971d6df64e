// Sharing work between threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace seqcli {

// Sequences for each thread: shares[t] lists items of share t, longest first.
using Shares = std::vector<std::vector<int32_t>>;

// Divide items of the given lengths so that every share has about the same total.
Shares divide(const std::vector<int64_t>& lengths, int64_t shares);

// Run work(0) … work(count - 1) on up to `threads` threads and wait for all. A free thread takes the
// next piece, so that more pieces than threads even out a core that other programs keep busy.
void parallel(int64_t threads, int64_t count, const std::function<void(int64_t)>& work);

// Work below this many multiply-adds is done before a second thread has woken up.
inline constexpr int64_t SMALL = 500'000;

// run(first, last) for runs of about equal length of `units` units, several a thread.
template <class Run>
void spread(int64_t units, int64_t work, int64_t threads, Run run) {
    if (work < SMALL) threads = 1;
    const int64_t parts = std::min(threads > 1 ? 4 * threads : 1, units);
    parallel(threads, parts, [&](int64_t i) { run(units * i / parts, units * (i + 1) / parts); });
}

}  // namespace seqcli
