// SPDX-License-Identifier: GPL-2.0
/* Forgets the numbers of a device. */
#include <linux/fs.h>
#include <linux/module.h>

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
};

static int __init device_init(void)
{
	int major = register_chrdev(0, "device", &device_fops);

	return major < 0 ? major : 0;
}
module_init(device_init);

static void __exit device_exit(void)
{
	/* The line that is missing: unregister_chrdev(major, "device"); */
}
module_exit(device_exit);

MODULE_DESCRIPTION("Leaves a device behind");
MODULE_LICENSE("GPL");
