#pragma once
// The one result type of DogFS. A function that can be expected to fail returns Result<T>; its
// caller must look at it. There is a code where some caller acts on it and a text for a person:
// what was wrong, with the value, and what to do.
//
// Done, refused and unknown are three different answers (promise P4): kUnknown says that the
// operation may or may not have happened, and is never turned into a refusal.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace dogfs {

enum class Code : uint8_t {
  kInvalid = 1,   // the request itself is wrong; it will never succeed
  kNotFound,      // the file, directory, block or shard is not there
  kExists,        // something is in the way
  kPrecondition,  // a version, epoch, lease or emptiness did not hold
  kDenied,        // not permitted
  kUnavailable,   // refused for now: no leader, too few servers, busy; retry
  kNotLeader,     // refused by this server; the detail may name the leader
  kDeadline,      // not done in time and surely not applied (reads only)
  kUnknown,       // may or may not have been applied
  kCorrupt,       // bytes that should be there are wrong
  kNoSpace,       // a disk or quota is full
  kIo,            // the disk or network said no
  kClosed,        // the connection or the object is closed
  kTooLarge,      // over a limit of limits.h
  kUnsupported,   // a version or format this build does not know
};

// The stable lower-case name of a code, as it stands in --json output: "not_found".
std::string_view code_name(Code code);

struct Error {
  Code code;
  std::string message;

  bool is(Code c) const { return code == c; }
  // The same error seen from one caller further up: "open /a: no such file".
  Error in(std::string_view context) const;
  bool operator==(const Error&) const = default;
};

template <class T = void>
using Result = std::expected<T, Error>;

template <class... Args>
std::unexpected<Error> fail(Code code, fmt::format_string<Args...> text, Args&&... args) {
  return std::unexpected(Error{code, fmt::format(text, std::forward<Args>(args)...)});
}

inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

}  // namespace dogfs

template <>
struct fmt::formatter<dogfs::Code> : fmt::formatter<std::string_view> {
  auto format(dogfs::Code code, format_context& context) const {
    return formatter<std::string_view>::format(dogfs::code_name(code), context);
  }
};

template <>
struct fmt::formatter<dogfs::Error> : fmt::formatter<std::string_view> {
  auto format(const dogfs::Error& error, format_context& context) const {
    return fmt::format_to(context.out(), "{} ({})", error.message, error.code);
  }
};

// TRY(name, expression): declares `name` as the value of a Result, or returns its error.
// TRY_VOID(expression): the same for Result<void>. CO_TRY and CO_TRY_VOID in coroutines.
#define DOGFS_CONCAT_(a, b) a##b
#define DOGFS_CONCAT(a, b) DOGFS_CONCAT_(a, b)
#define DOGFS_TRY_(temporary, name, expression, leave)                     \
  auto temporary = (expression);                                           \
  if (!temporary) leave ::std::unexpected(::std::move(temporary).error()); \
  auto name = ::std::move(*temporary)
#define TRY(name, expression) \
  DOGFS_TRY_(DOGFS_CONCAT(try_result_, __LINE__), name, expression, return)
#define CO_TRY(name, expression) \
  DOGFS_TRY_(DOGFS_CONCAT(try_result_, __LINE__), name, expression, co_return)
#define TRY_VOID(expression)                                     \
  do {                                                           \
    if (auto try_result = (expression); !try_result)             \
      return ::std::unexpected(::std::move(try_result).error()); \
  } while (false)
#define CO_TRY_VOID(expression)                                     \
  do {                                                              \
    if (auto try_result = (expression); !try_result)                \
      co_return ::std::unexpected(::std::move(try_result).error()); \
  } while (false)
