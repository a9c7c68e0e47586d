// SPDX-License-Identifier: GPL-2.0
/* Greets as often as it is told. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>

static u8 times = 1;
module_param(times, byte, 0444);
MODULE_PARM_DESC(times, "How often, 1 to 9");

static int __init repeats_init(void)
{
	int i;

	if (times < 1 || times > 9)
		return -ERANGE;
	for (i = 0; i < times; i++)
		pr_info("Hello world!\n");
	return 0;
}
module_init(repeats_init);

static void __exit repeats_exit(void)
{
}
module_exit(repeats_exit);

MODULE_DESCRIPTION("Greets as often as it is told");
MODULE_LICENSE("GPL");
