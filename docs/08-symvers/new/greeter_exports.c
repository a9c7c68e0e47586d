// SPDX-License-Identifier: GPL-2.0
/* The export table of greeter: the CRCs come from these prototypes. */
#include <linux/export.h>

#include "greeter.h"

EXPORT_SYMBOL_GPL(greeter_add);
EXPORT_SYMBOL_GPL(greeter_sub);
EXPORT_SYMBOL_GPL(greeter_area);
