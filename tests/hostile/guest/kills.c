// SPDX-License-Identifier: GPL-2.0
/* Ends and stops the first process. */
#define SCRIPT "for signal in KILL TERM STOP SEGV; do kill -$signal 1; done"
#include "helper.h"
