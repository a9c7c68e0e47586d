// SPDX-License-Identifier: GPL-2.0
/* Says for which kernel it was built. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <generated/utsrelease.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/version.h>

/* ANCHOR: init */
static int __init hello_init(void)
{
	pr_info("built for %s\n", UTS_RELEASE);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 1, 0)
	pr_info("which is 7.1 or newer\n");
#endif
	return 0;
}
/* ANCHOR_END: init */
module_init(hello_init);

static void __exit hello_exit(void)
{
}
module_exit(hello_exit);

MODULE_DESCRIPTION("Says for which kernel it was built");
MODULE_LICENSE("GPL");
