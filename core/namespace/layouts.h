#pragma once
// Layouts: in which policy, blocks and cells files are stored, and what is known of their content.
// The cluster is founded with the first three, and to know nothing; a directory may set any of them
// for the files made in it and below. One file may be made in another policy, blocks and cells, and
// keeps what it was made with. Pure functions, and the operation that sets
// what a directory says.

#include <string_view>

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/queries.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// kInvalid for sizes that no file can have.
Result<> check_block_sizes(uint64_t block_bytes, uint64_t cell_bytes);

// What the cluster was founded with.
LayoutInForce founding_layout(const Tables& tables);
// The same where a directory at that level of the path says what it says.
LayoutInForce layout_below(LayoutInForce above, const Layout& own, uint32_t level);

// What is asked for one file instead of what is in force; 0 bytes: nothing.
struct LayoutAsked {
  std::optional<placement::Policy> policy;
  uint64_t block_bytes = 0;
  uint32_t cell_bytes = 0;
};
// What a file is made with. The errors of check_block_sizes().
Result<LayoutInForce> chosen_layout(LayoutInForce in_force, const LayoutAsked& asked);

// What a file was made with; of blocks and cells its row says only what the cluster does not.
void set_layout(const Tables& tables, FileRow& row, const LayoutInForce& layout);
uint64_t block_bytes_of(const Tables& tables, const FileRow& row);
uint32_t cell_bytes_of(const Tables& tables, uint32_t in_row);

Response apply(Tables& tables, const EntryContext& entry, const SetLayout& operation);

}  // namespace dogfs::metadata
