// SPDX-License-Identifier: GPL-2.0
/* Needs nothing but the kernel. */
#include <linux/init.h>
#include <linux/module.h>

static int __init hello_init(void)
{
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
}
module_exit(hello_exit);

MODULE_DESCRIPTION("Needs nothing but the kernel");
MODULE_LICENSE("GPL");
