#pragma once
// A copy of this test, to go another way from here: what happens in it is undone with it. So a run
// of a world can be killed at each of its events without being run again up to there. For tests
// without threads.

#include <functional>
#include <string>

namespace dogfs::testing {

// Runs `act` in a forked copy of this process and waits for its end. Empty if act returned nothing
// to complain of; otherwise that, or how the copy died. Under the address sanitizer the copy also
// looks for leaks if it is asked to.
std::string in_copy(const std::function<std::string()>& act, bool look_for_leaks);

}  // namespace dogfs::testing
