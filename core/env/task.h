#pragma once
// Task<T>: how node code waits. A lazy coroutine that runs when it is awaited, once.
//
// A coroutine takes its parameters by value, or by reference only to what surely outlives it, and
// is never a lambda with captures: the captures die with the lambda, not with the frame. After each
// co_await, read again what may have changed.
//
// Cancellation throws boost::system::system_error(operation_aborted) out of the co_await that was
// waiting, and out of every later one of the same task; node code lets it pass.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>

namespace dogfs {

namespace asio = boost::asio;
using error_code = boost::system::error_code;

template <class T = void>
using Task = asio::awaitable<T>;

}  // namespace dogfs
