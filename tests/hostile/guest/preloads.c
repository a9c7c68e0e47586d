// SPDX-License-Identifier: GPL-2.0
/* Has a library loaded into every program. */
#define SCRIPT "echo /tmp/gone.so > /etc/ld.so.preload"
#include "helper.h"
