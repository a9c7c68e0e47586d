// SPDX-License-Identifier: GPL-2.0
/* The same in C: what was claimed is given back by hand, last first. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>

static bool busy;
module_param(busy, bool, 0444);
MODULE_PARM_DESC(busy, "Whether the device is busy, and cannot be claimed");

static int claim(const char *name, bool is_busy)
{
	pr_info("%s is %s\n", name, is_busy ? "busy" : "claimed");
	return is_busy ? -EBUSY : 0;
}

static void give_back(const char *name)
{
	pr_info("%s is given back\n", name);
}

/* ANCHOR: init */
static int __init hello_init(void)
{
	int err;

	err = claim("the port", false);
	if (err)
		return err;

	err = claim("the interrupt", false);
	if (err)
		goto no_interrupt;

	err = claim("the device", busy);
	if (err)
		goto no_device;

	return 0;

no_device:
	give_back("the interrupt");
no_interrupt:
	give_back("the port");
	return err;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
	give_back("the device");
	give_back("the interrupt");
	give_back("the port");
}
module_exit(hello_exit);
/* ANCHOR_END: init */

MODULE_DESCRIPTION("Gives back what it claimed");
MODULE_LICENSE("GPL");
