#pragma once
// Where something goes when a person names a directory: "/a/" and "x/y" give "/a/y". Text only:
// nobody is asked whether there is such a directory. For local paths and paths of a cluster, which
// both have slashes.

#include <string>
#include <string_view>

namespace dogfs::tool {

inline std::string last_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

// `to`, and when it ends with a slash, the last name of `from` below it.
inline std::string destination(std::string to, std::string_view from) {
  return to.ends_with('/') ? to + last_name(from) : to;
}

}  // namespace dogfs::tool
