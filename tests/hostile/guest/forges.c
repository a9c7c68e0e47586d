// SPDX-License-Identifier: GPL-2.0
/* Writes a goodbye to the agent's port, and the words of a proof into the log. */
#define SCRIPT "for port in /dev/vport*; do " \
	"printf 'G\\011\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000' > $port; done; " \
	"echo holds on 1 of 1 kernels > /dev/kmsg"
#include "helper.h"
