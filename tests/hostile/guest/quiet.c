// SPDX-License-Identifier: GPL-2.0
/* Turns the console off, and then complains. */
#include <linux/module.h>
#include <linux/printk.h>

static int __init quiet_init(void)
{
	console_loglevel = CONSOLE_LOGLEVEL_SILENT;
	WARN_ON(1);
	return 0;
}
module_init(quiet_init);

static void __exit quiet_exit(void)
{
}
module_exit(quiet_exit);

MODULE_DESCRIPTION("Warns in silence");
MODULE_LICENSE("GPL");
