// SPDX-License-Identifier: GPL-2.0
/* Fails after it has registered a device. */
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static const struct file_operations mended_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice mended_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mended",
	.fops = &mended_fops,
};

static int __init mended_init(void)
{
	int err = misc_register(&mended_device);

	if (err)
		return err;

	/* Something else went wrong. */
	return -EBUSY;
}
module_init(mended_init);

MODULE_DESCRIPTION("Fails after it has registered a device");
MODULE_LICENSE("GPL");
