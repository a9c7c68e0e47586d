// SPDX-License-Identifier: GPL-2.0
/* Does not say which headers it saw. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>
#include <linux/version.h>

static int __init versions_init(void)
{
	pr_info("built for some kernel\n");
	return 0;
}
module_init(versions_init);

static void __exit versions_exit(void)
{
}
module_exit(versions_exit);

MODULE_DESCRIPTION("Does not say which headers it saw");
MODULE_LICENSE("GPL");
