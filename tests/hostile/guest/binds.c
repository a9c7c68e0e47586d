// SPDX-License-Identifier: GPL-2.0
/* Mounts the program over kmod's, and a list of its own over the kernel's. */
#define SCRIPT "for tool in modprobe rmmod; do mount -o bind /tmp/ok /usr/sbin/$tool; done; " \
	"echo refuses 16384 0 - Live 0x0 > /tmp/list; mount -o bind /tmp/list /proc/modules"
#include "helper.h"
