// SPDX-License-Identifier: GPL-2.0
/* Removes every tool. */
#define SCRIPT "rm -rf /usr/sbin /usr/bin /usr/lib/modules"
#include "helper.h"
