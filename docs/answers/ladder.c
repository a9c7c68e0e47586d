// SPDX-License-Identifier: GPL-2.0
/* Goes up three steps, and down those that it went up. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>

static u8 fails;
module_param(fails, byte, 0444);
MODULE_PARM_DESC(fails, "Which step fails, 1 to 3; none by default");

static int step(int number)
{
	if (number == fails)
		return -EBUSY;
	pr_info("step %d is done\n", number);
	return 0;
}

static void undo(int number)
{
	pr_info("step %d is undone\n", number);
}

static int __init ladder_init(void)
{
	int err;

	err = step(1);
	if (err)
		return err;

	err = step(2);
	if (err)
		goto undo_1;

	err = step(3);
	if (err)
		goto undo_2;

	return 0;

undo_2:
	undo(2);
undo_1:
	undo(1);
	return err;
}
module_init(ladder_init);

static void __exit ladder_exit(void)
{
	undo(3);
	undo(2);
	undo(1);
}
module_exit(ladder_exit);

MODULE_DESCRIPTION("Goes up three steps, and down those that it went up");
MODULE_LICENSE("GPL");
