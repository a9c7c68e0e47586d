// SPDX-License-Identifier: GPL-2.0
/* Loads, and leaves a warning with a backtrace in the log: a test of it must fail. */
#include <linux/module.h>

static int __init warns_init(void)
{
	WARN_ON(1);
	return 0;
}
module_init(warns_init);

static void __exit warns_exit(void)
{
}
module_exit(warns_exit);

MODULE_DESCRIPTION("Warns when it is loaded");
MODULE_LICENSE("GPL");
