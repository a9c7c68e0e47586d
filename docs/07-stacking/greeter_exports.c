// SPDX-License-Identifier: GPL-2.0
/* The export table of greeter; the function is in greeter_main.rs. */
#include <linux/export.h>

#include "greeter.h"

EXPORT_SYMBOL_GPL(greeter_hello);
