// SPDX-License-Identifier: GPL-2.0
/* Says which headers it saw. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/version.h>

static int __init versions_init(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	pr_info("built for 7 or newer\n");
#else
	pr_info("built for 6 or older\n");
#endif
	return 0;
}
module_init(versions_init);

static void __exit versions_exit(void)
{
}
module_exit(versions_exit);

MODULE_DESCRIPTION("Says which headers it saw");
MODULE_LICENSE("GPL");
