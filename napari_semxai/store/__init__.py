"""Files: images, masks, network weights and recovery copies."""
