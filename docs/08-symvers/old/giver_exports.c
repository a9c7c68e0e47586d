// SPDX-License-Identifier: GPL-2.0
/* The export table of giver: the CRCs come from these prototypes. */
#include <linux/export.h>

#include "giver.h"

EXPORT_SYMBOL_GPL(giver_add);
EXPORT_SYMBOL_GPL(giver_sub);
EXPORT_SYMBOL_GPL(giver_area);
