// SPDX-License-Identifier: GPL-2.0
/* Does nothing, but can be loaded. */
#include <linux/module.h>

static int __init first_init(void)
{
	pr_info("first: is loaded\n");
	return 0;
}
module_init(first_init);

static void __exit first_exit(void)
{
}
module_exit(first_exit);

MODULE_DESCRIPTION("A module to try loading with");
MODULE_LICENSE("GPL");
