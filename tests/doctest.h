#pragma once
// doctest, included after everything else: its CHECK takes the place of the product's, which
// inline code of headers included before has already used. clang-format sorts it last, lint checks.

#include "core/base/check.h"

#undef CHECK
#include <string>

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "core/base/strong.h"

namespace doctest {
// Failures print what an id or an error says of itself.
template <class Tag, class Rep>
struct StringMaker<dogfs::Strong<Tag, Rep>> {
  static String convert(const dogfs::Strong<Tag, Rep>& id) { return fmt::format("{}", id).c_str(); }
};
template <>
struct StringMaker<dogfs::Code> {
  static String convert(dogfs::Code code) { return fmt::format("{}", code).c_str(); }
};
template <>
struct StringMaker<dogfs::Error> {
  static String convert(const dogfs::Error& error) { return fmt::format("{}", error).c_str(); }
};
}  // namespace doctest
