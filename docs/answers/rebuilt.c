// SPDX-License-Identifier: GPL-2.0
/* Says for which kernel it was built. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

#include <generated/utsrelease.h>

static int __init rebuilt_init(void)
{
	pr_info("built for %s\n", UTS_RELEASE);
	return 0;
}
module_init(rebuilt_init);

static void __exit rebuilt_exit(void)
{
}
module_exit(rebuilt_exit);

MODULE_DESCRIPTION("Says for which kernel it was built");
MODULE_LICENSE("GPL");
