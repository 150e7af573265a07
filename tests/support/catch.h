/// \file
/// Catch2 2.13 (Debian 12) and 3.x under one include, and skip() for both.
#pragma once
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
#include <string>

namespace valbench::test {
/// Marks the running test case as skipped, with the reason printed. A skipped case is never counted as passed.
void mark_skipped(const std::string& reason);
}  // namespace valbench::test

/// Leaves the test case, counted as skipped: VB_SKIP("needs a GPU").
#define VB_SKIP(reason)                     \
  do {                                      \
    ::valbench::test::mark_skipped(reason); \
    return;                                 \
  } while (false)
