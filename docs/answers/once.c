// SPDX-License-Identifier: GPL-2.0
/* Says ten times the same, and once only. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static int __init once_init(void)
{
	int i;

	for (i = 0; i < 10; i++)
		pr_info_once("said once\n");
	return 0;
}
module_init(once_init);

static void __exit once_exit(void)
{
}
module_exit(once_exit);

MODULE_DESCRIPTION("Says ten times the same, and once only");
MODULE_LICENSE("GPL");
