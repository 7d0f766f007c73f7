from ..reference.conv import conv2d, conv2d_transpose, conv2d_weight_grad
