// SPDX-License-Identifier: GPL-2.0
/* Resets the machine. */
#include <linux/module.h>
#include <linux/reboot.h>

static int __init resets_init(void)
{
	emergency_restart();
	return 0;
}
module_init(resets_init);

MODULE_DESCRIPTION("Resets the machine");
MODULE_LICENSE("GPL");
