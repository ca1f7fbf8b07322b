#pragma once
// Random commands, queries and answers of every kind, for tests of their encoding: all that the
// types can hold, whether or not it makes sense together.

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/random.h"
#include "core/proto/namespace_codec.h"

namespace dogfs::proto {

// Of all sizes, the extremes included.
uint64_t number(Random& random);
std::string text(Random& random, size_t most = 40);
std::optional<metadata::Asker> asker(Random& random);
metadata::BeginImport begin_import(Random& random);
metadata::LocatedBlock located(Random& random);

// `kind`: the index in their variant.
metadata::Command command(size_t kind, Random& random);
metadata::Reply reply(size_t kind, Random& random);
metadata::Query query(size_t kind, Random& random);
metadata::Answer answer(size_t kind, Random& random);

}  // namespace dogfs::proto
