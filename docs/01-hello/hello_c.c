// SPDX-License-Identifier: GPL-2.0
/* The slide's module: hello in C. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static int __init hello_init(void)
{
	pr_info("Hello world!\n");
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
	pr_info("Goodbye!\n");
}
module_exit(hello_exit);

MODULE_DESCRIPTION("Says hello, and goodbye");
MODULE_LICENSE("GPL");
