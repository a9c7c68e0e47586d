// SPDX-License-Identifier: GPL-2.0
/* Complains when it goes, so that a program that only says that it went is found out. */
#include <linux/module.h>

static int __init complains_init(void)
{
	return 0;
}
module_init(complains_init);

static void __exit complains_exit(void)
{
	WARN_ON(1);
}
module_exit(complains_exit);

MODULE_DESCRIPTION("Warns in its exit");
MODULE_LICENSE("GPL");
