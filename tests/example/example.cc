#include <cstdio>

#include "nodes/client/appender.h"
#include "nodes/client/client.h"
#include "nodes/client/memory_stream.h"
#include "tools/client/client_program.h"

using namespace dogfs;
using namespace dogfs::nodes;

Task<Result<void>> work(Env&, Client& client) {
  CO_TRY_VOID(co_await client.make_directory("/photos", false, std::nullopt));

  // A file appears whole or not at all.
  MemorySource photo("the bytes of a photo");
  CO_TRY(stored, co_await client.put("/photos/dog.jpg", photo, {}));
  fmt::print("stored {} bytes\n", stored.bytes);

  // Any number of programs may append to one file. Each record lies there whole and once.
  CO_TRY(log, co_await client.open_append("/photos/log", {}));
  for (const char* text : {"a dog was seen\n", "it sleeps\n"}) {
    auto offset = co_await log->append(Buffer::copy(text));
    if (!offset && offset.error().is(Code::kUnknown)) continue;  // it may be stored: look
    if (!offset) co_return fail(offset.error());                 // it surely is not
    fmt::print("appended at {}\n", *offset);
  }

  MemorySink range;
  CO_TRY_VOID(co_await client.get("/photos/log", range, {.offset = 2, .length = 3}));
  fmt::print("read \"{}\"\n", range.bytes);

  CO_TRY(page, co_await client.list("/photos", "", 1000));  // names after "", so from the start
  for (const auto& entry : page.listing.entries) fmt::print("{}\n", entry.name);
  co_return Result<void>();
}

int main(int, char** arguments) {
  const auto metadata = Address::parse(arguments[1]);  // of any metadata server
  if (!metadata) return 2;
  const auto done = run_with_client({.metadata = {*metadata}}, work);
  if (!done) fmt::print(stderr, "{}\n", done.error());
  return done ? 0 : 1;
}
