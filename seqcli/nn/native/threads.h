// Sharing work between threads.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace seqcli {

// Sequences for each thread: shares[t] lists items of share t, longest first.
using Shares = std::vector<std::vector<int32_t>>;

// Divide items of the given lengths so that every share has about the same total.
Shares divide(const std::vector<int64_t>& lengths, int64_t shares);

// Run work(0) … work(count - 1) on up to `count` threads and wait for all.
void parallel(int64_t count, const std::function<void(int64_t)>& work);

}  // namespace seqcli
