"""Whole networks that answer with an image at every step: frames of a video, optical flow; and what is to be beaten."""
