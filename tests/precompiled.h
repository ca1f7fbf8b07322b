#pragma once
// Precompiled for every test that cannot see the seam. doctest is not in it: in every test it comes
// last (doctest.h).

#include <rapidcheck.h>

#include "core/base/precompiled.h"
