// SPDX-License-Identifier: GPL-2.0
/* Greets once. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static int __init repeats_init(void)
{
	pr_info("Hello world!\n");
	return 0;
}
module_init(repeats_init);

static void __exit repeats_exit(void)
{
}
module_exit(repeats_exit);

MODULE_DESCRIPTION("Greets once");
MODULE_LICENSE("GPL");
