// SPDX-License-Identifier: GPL-2.0
/* Has two devices. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static int second = MISC_DYNAMIC_MINOR;
module_param(second, int, 0);
MODULE_PARM_DESC(second, "The number of the second device");

static const struct file_operations two_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice one = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "one",
	.fops = &two_fops,
};

static struct miscdevice extra = {
	.name = "extra",
	.fops = &two_fops,
};

static int __init two_init(void)
{
	int err = misc_register(&one);

	if (err)
		return err;

	extra.minor = second;
	err = misc_register(&extra);
	if (err)
		misc_deregister(&one);
	return err;
}
module_init(two_init);

static void __exit two_exit(void)
{
	misc_deregister(&extra);
	misc_deregister(&one);
}
module_exit(two_exit);

MODULE_DESCRIPTION("Has two devices");
MODULE_LICENSE("GPL");
