"""Labels of images, and the split: what is trained on and what is tested on."""
