// SPDX-License-Identifier: GPL-2.0
/* Stays, as it has no exit, and keeps its device. */
#include <linux/fs.h>
#include <linux/module.h>

static const struct file_operations permanent_fops = {
	.owner = THIS_MODULE,
};

static int __init permanent_init(void)
{
	int major = register_chrdev(0, "permanent", &permanent_fops);

	return major < 0 ? major : 0;
}
module_init(permanent_init);

MODULE_DESCRIPTION("Stays with its device");
MODULE_LICENSE("GPL");
