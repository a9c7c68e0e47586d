// SPDX-License-Identifier: GPL-2.0
/* Says how many of its three files are loud. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kconfig.h>
#include <linux/module.h>

#include <flags.h>

static int __init flags_init(void)
{
	int loud = flags_first() + flags_second();

#ifdef LOUD
	loud++;
#endif
	pr_info("%d of 3 are loud\n", loud);
	return 0;
}
module_init(flags_init);

static void __exit flags_exit(void)
{
}
module_exit(flags_exit);

MODULE_DESCRIPTION("Says how many of its three files are loud");
MODULE_LICENSE("GPL");
