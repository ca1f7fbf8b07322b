#pragma once
// Precompiled for every test that can see the seam, never included. It is another one than that of
// the libraries because tests are not optimised, and a precompiled header serves one level of
// optimisation only.

#include "core/env/precompiled.h"

#include "tests/precompiled.h"
