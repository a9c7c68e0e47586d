// SPDX-License-Identifier: GPL-2.0
/* A module of one C object: prints what ccflags-y gives. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static int __init hello_c_init(void)
{
	pr_info("%s.o was given LIMIT=%d\n", KBUILD_BASENAME, LIMIT);
	return 0;
}
module_init(hello_c_init);

static void __exit hello_c_exit(void)
{
}
module_exit(hello_c_exit);

MODULE_DESCRIPTION("Made of one C object");
MODULE_LICENSE("GPL");
