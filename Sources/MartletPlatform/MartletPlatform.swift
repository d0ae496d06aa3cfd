// MartletPlatform
