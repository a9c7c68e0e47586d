// SPDX-License-Identifier: GPL-2.0
/* Does nothing, but can be loaded. */
#include <linux/module.h>

static int __init hello_init(void)
{
	pr_info("hello: is loaded\n");
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
}
module_exit(hello_exit);

MODULE_DESCRIPTION("A module to try loading with");
MODULE_LICENSE("GPL");
