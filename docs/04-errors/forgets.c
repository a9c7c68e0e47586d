// SPDX-License-Identifier: GPL-2.0
/* Fails after it has registered a device, and does not take the device back. */
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static const struct file_operations forgets_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice forgets_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "forgets",
	.fops = &forgets_fops,
};

/* ANCHOR: init */
static int __init forgets_init(void)
{
	int err = misc_register(&forgets_device);

	if (err)
		return err;

	/* Something else went wrong. Here misc_deregister() is missing. */
	return -EBUSY;
}
/* ANCHOR_END: init */
module_init(forgets_init);

static void __exit forgets_exit(void)
{
	misc_deregister(&forgets_device);
}
module_exit(forgets_exit);

MODULE_DESCRIPTION("Leaves a device behind when it fails");
MODULE_LICENSE("GPL");
